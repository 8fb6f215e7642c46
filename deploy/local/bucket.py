"""The buckets of the object store, which whoever runs the stack makes: no service may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from deploy.access import backup
from deploy.access.rights import BUCKET, OPERATOR
from shared.objects.bucket import rules

if TYPE_CHECKING:
    from deploy.local.layout import Layout

_REGION = "us-east-1"


def make(layout: Layout) -> None:
    """Makes that of the services with its rules, or brings it to them, and that of backups.

    Raises:
        ConnectionError: The store is not wholly up.
    """
    client: Any = get_session().create_client(
        "s3",
        endpoint_url=layout.objects_url,
        region_name=_REGION,
        aws_access_key_id=OPERATOR,
        aws_secret_access_key=layout.password("objects", OPERATOR),
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, proxies={}),
    )
    try:
        there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for bucket in (BUCKET, backup.BUCKET):
            if bucket not in there:
                client.create_bucket(Bucket=bucket)
        client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules()})
    except (BotoCoreError, ClientError) as error:
        raise ConnectionError(f"the object store does not make its buckets: {error}") from error
    finally:
        client.close()
