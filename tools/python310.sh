#!/usr/bin/env bash
# Runs the tests of the runtime on the oldest supported Python and the last ONNX Runtime for it:
#   tools/python310.sh [PYTHON]        PYTHON: default python3.10
# Makes a virtual environment in a temporary folder, without PyTorch, and removes it again.
set -euo pipefail
python=$(realpath "$(command -v "${1:-python3.10}")")
cd "$(dirname "$0")/.."
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10) and "error: not Python 3.10: " + sys.version)'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q . "onnxruntime==1.23.2" "onnx>=1.17" "pytest>=8"
"$folder/venv/bin/python" -m pytest -q -p no:cacheprovider tests/runtime tests/test_cli.py
