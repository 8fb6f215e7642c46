"""The users of MongoDB: each service has one in its own database, with a role that names its collections.

The user of backups is in `admin`, for it reads the databases of all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deploy.access import backup
from deploy.access.rights import SERVICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.access.rights import Service

#: The name of a service's role; each is in a database of its own.
ROLE = "service"

_SCRIPT = """\
// For mongosh, as a user who may administer users; asks for the password of each user that is new.
for (const {{ user, database, role, privileges }} of {users}) {{
  const there = db.getSiblingDB(database);
  if (there.getRole(role)) there.updateRole(role, {{ privileges, roles: [] }});
  else there.createRole({{ role, privileges, roles: [] }});
  if (there.getUser(user)) there.updateUser(user, {{ roles: [role] }});
  else there.createUser({{ user, pwd: passwordPrompt(), roles: [role] }});
}}
"""


def privileges(service: Service) -> list[dict[str, Any]]:
    """What the role of a service may do, in MongoDB's words; nothing for one that has no database."""
    if service.mongo is None:
        return []
    return [
        {"resource": {"db": service.mongo.database, "collection": collection}, "actions": list(actions)}
        for collection, actions in service.mongo.collections.items()
    ]


def script(services: Sequence[Service] = SERVICES) -> str:
    """A script that makes roles and users, or brings them to the table; harmless at any time."""
    users = [
        {
            "user": service.name,
            "database": service.mongo.database,
            "role": ROLE,
            "privileges": privileges(service),
        }
        for service in services
        if service.mongo is not None
    ]
    users.append(
        {
            "user": backup.USER,
            "database": backup.DATABASE,
            "role": backup.ROLE,
            "privileges": backup.privileges(),
        }
    )
    return _SCRIPT.format(users=json.dumps(users, indent=2))
