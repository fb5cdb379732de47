# make demo: from nothing to chemical maps of a simulated scan, shown in napari (or written, without a screen)
# make test: lint, types, import contract and the whole test suite on a virtual display
# make check: the same without the tests

BIN := .venv/bin

.PHONY: demo test check setup clean

demo: setup
	$(BIN)/napari-xanes demo

test: check
	@if command -v xvfb-run >/dev/null; then \
		xvfb-run -a -s "-screen 0 1920x1080x24" $(BIN)/pytest; \
	elif [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" != Linux ]; then \
		$(BIN)/pytest; \
	else \
		echo "Neither a screen nor xvfb-run: tests that drive a window are left out."; \
		QT_QPA_PLATFORM=offscreen $(BIN)/pytest -m "not viewer"; \
	fi

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup:
	@sh tools/setup.sh

clean:
	rm -rf .venv napari-xanes-demo
