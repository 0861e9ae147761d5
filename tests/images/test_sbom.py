"""The bills of materials of the real images: all that is installed is in the lock."""

from tools.images.build import FLOWS, SERVICE
from tools.images.sbom import check_schema, write_image_boms


def test_what_is_installed_is_listed_and_locked(docker, service_image, flows_image, tmp_path):
    files = write_image_boms(docker, tmp_path)
    check_schema(files)
    assert [file.name for file in files] == [f"{SERVICE.name}.cdx.json", f"{FLOWS.name}.cdx.json"]
