"""The science: arrays and files in, arrays and files out.  Nothing here knows napari or Qt."""
