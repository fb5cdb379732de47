#!/bin/sh
# Make .venv with the package and everything it needs; quick when there is nothing to do.
# System libraries are installed where that is allowed without a password, otherwise the line to run is printed.
set -eu
cd "$(dirname "$0")/.."

LIBRARIES="xvfb xauth libgl1 libegl1 libgl1-mesa-dri libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0
libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xkb1"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }
}

# install PACKAGE... : those that are missing, or say how
install() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if may_be_root; then
        echo "Installing system packages:$missing"
        # shellcheck disable=SC2086
        if as_root apt-get update -qq &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
        then
            return 0
        fi
        echo "They could not be installed; going on without them."
    fi
    echo "System packages are missing; to install them, run:"
    echo "  sudo apt-get install -y$missing"
}

find_python() {
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

if command -v apt-get >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    install $LIBRARIES
fi

if ! python=$(find_python); then
    if command -v apt-get >/dev/null 2>&1; then install python3 python3-venv; fi
    python=$(find_python) || { echo "Python 3.11 or newer is needed, and was not found." >&2; exit 1; }
fi

stamp=".venv/installed"
if [ ! -f "$stamp" ] || ! cmp -s pyproject.toml "$stamp"; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && command -v apt-get >/dev/null 2>&1; then
        install python3-venv
    fi
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
    echo "Installing napari-xanes and what it needs into .venv (a few minutes the first time)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[all,test]"
    cp pyproject.toml "$stamp"
fi
