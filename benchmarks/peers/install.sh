#!/bin/sh
# Each peer in an environment of its own: benchmarks/peers/install.sh [FOLDER]   (default: peers, about 2 GB)
# The benchmarks find them there with --peers FOLDER. Python 3.11; nothing of PictoKG's own environment is touched.
set -eu
folder=${1:-peers}
python=${PYTHON:-python3}
# Without a CUDA device torch need not bring its libraries: TORCH_INDEX=https://download.pytorch.org/whl/cpu
index=${TORCH_INDEX:+--index-url $TORCH_INDEX}

install() { # name, packages
    name=$1
    shift
    [ -x "$folder/$name/bin/python" ] || "$python" -m venv "$folder/$name"
    # shellcheck disable=SC2086
    "$folder/$name/bin/pip" install --quiet $index "torch==2.13.0"
    "$folder/$name/bin/pip" install --quiet "$@"
    "$folder/$name/bin/pip" list --format freeze | grep -i -E '^(torch|pykeen|torchbiggraph|setuptools|numpy)=='
}

install pykeen "pykeen==1.11.1"
# PyTorch-BigGraph reads pkg_resources, which left setuptools with version 80, and is built beside the torch that is
# there. Its configuration does not turn into JSON with today's attrs; biggraph_training.py leaves that one file out.
install pbg "setuptools<80" "wheel"
"$folder/pbg/bin/pip" install --quiet --no-build-isolation "torchbiggraph==1.0.0"
"$folder/pbg/bin/pip" list --format freeze | grep -i "^torchbiggraph=="
