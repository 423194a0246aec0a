from tests.s3 import s3, s3_endpoint  # noqa: F401
