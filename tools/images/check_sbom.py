"""Checks bills of materials against CycloneDX's schema: `.tools/sbom/bin/python tools/images/check_sbom.py FILE...`.

Runs in the environment of cyclonedx-bom, which the project itself does not hold.
"""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main() -> int:
    """Check each file, and say what is wrong."""
    validator, wrong = JsonStrictValidator(SchemaVersion.V1_6), 0
    for name in sys.argv[1:]:
        found = validator.validate_str(Path(name).read_text(encoding="utf-8"))
        if found:
            wrong += 1
            # The library gives the validator's own report; its end holds the place and the value.
            print(f"{name}: no CycloneDX 1.6: {str(found)[:500]}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
