from tests.disks import small_disk  # noqa: F401
from tests.s3 import s3, s3_endpoint  # noqa: F401
