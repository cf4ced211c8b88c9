"""Run by path, with `python -P`, in an environment that has TensorFlow but does not have this package installed.

Makes this one package importable without its neighbours: a whole site-packages on the path would mix the libraries of
two environments.
"""

import importlib.util
import sys
from pathlib import Path

package = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location(
    "reinit_bench", package / "__init__.py", submodule_search_locations=[str(package)]
)
assert spec is not None
assert spec.loader is not None
sys.modules["reinit_bench"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

from reinit_bench.data.preparing.program import main  # noqa: E402  (importable only now)

sys.exit(main(sys.argv[1]))
