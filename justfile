# Recipes for people who work on edgedrag; `just` lists them. Another interpreter: `just python=.venv-test/bin/python test`.

python := "python3"
images := "docs/images"

_list:
    @just --list --unsorted

# An editable install of all that the tests need, in .venv-test
setup:
    python3 -m venv .venv-test && .venv-test/bin/pip install -q -e ".[test]"

# The tests to run while working: a few minutes on two cores
fast *ARGS:
    {{ python }} -m pytest -q -n 2 --dist loadfile -m "not slow" {{ ARGS }}

# All tests, as CI runs them
test *ARGS:
    {{ python }} -m pytest -n 2 --dist loadfile {{ ARGS }}

# Linter, formatter and types: they have to pass before a commit
lint:
    {{ python }} -m ruff check .
    {{ python }} -m ruff format --check .
    {{ python }} -m mypy src

# Let the linter and the formatter change what they can
format:
    {{ python }} -m ruff check --fix .
    {{ python }} -m ruff format .

# Write the generated parts of the docs anew, and check links, paths and examples
docs: diagrams
    {{ python }} tools/command_tables.py
    {{ python }} tools/graph_inputs_table.py
    {{ python }} tools/errors_page.py
    {{ python }} tools/command_tables.py
    {{ python }} -m edgedrag.benchmarks.latency.figures_table
    {{ python }} -m pytest -q tests/test_docs.py

# The pictures of docs/architecture.md, drawn from its numbered lists
diagrams:
    {{ python }} tools/architecture_pictures.py -o {{ images }}

# The pictures of README.md and docs/: the diagrams, the README's drag, and the station in a browser
pictures: diagrams
    {{ python }} -m edgedrag drag examples/coffee.png --drag 365,285:378,303 --drag 345,245:352,255 -o "$(mktemp -d)/edited.png" --sheet {{ images }}/drag.png
    {{ python }} -m edgedrag.benchmarks.station.pictures examples/coffee.png -o {{ images }}

# Build the wheel into dist/
wheel:
    {{ python }} -m build --wheel --outdir dist .

# The Debian package of a kiosk, in dist/
deb:
    packaging/build_deb.sh dist
