# make demo: from nothing to chemical maps of a simulated scan, shown in napari (or written, without a screen)
# make test: lint, types, import contract and the whole test suite on a virtual display
# make coverage: how much of the source the tests run, line by line
# make check: the same without the tests
# make figures: the pictures of the documentation, anew
# make benchmark-peers: other programs on the same job, in an environment of their own

BIN := .venv/bin
# a third process computes while the tests of two wait for a window or a child
PROCESSES := -n 3 --dist worksteal
# threads of BLAS that wait for a core that another process has compute as well, up to twenty times as long as one alone
test coverage: export OPENBLAS_NUM_THREADS := 1

.PHONY: demo test coverage check setup figures benchmark-peers clean

demo: setup
	$(BIN)/napari-xanes demo

test: check  # its many processes compile the source once
	@unset PYTHONDONTWRITEBYTECODE; if command -v xvfb-run >/dev/null; then \
		xvfb-run -a -s "-screen 0 1920x1080x24" $(BIN)/pytest $(PROCESSES); \
	elif [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" != Linux ]; then \
		$(BIN)/pytest; \
	else \
		echo "Neither a screen nor xvfb-run: tests that drive a window are left out."; \
		QT_QPA_PLATFORM=offscreen $(BIN)/pytest -m "not viewer"; \
	fi

coverage: setup
	xvfb-run -a -s "-screen 0 1920x1080x24" $(BIN)/pytest $(PROCESSES) --cov=napari_xanes --cov-report=term:skip-covered

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup:
	@sh tools/setup.sh

figures: setup
	@for script in docs/figures/*.py; do echo "$$script"; $(BIN)/python $$script || exit 1; done
	@for script in screenshots tutorials; do xvfb-run -a -s "-screen 0 1920x1080x24" $(BIN)/python tools/$$script.py || exit 1; done

benchmark-peers:
	python3 -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --editable . pyxas mantis-xray
	.venv-peers/bin/python benchmarks/peers.py

clean:
	rm -rf .venv .venv-peers napari-xanes-demo
