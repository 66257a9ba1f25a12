"""What a page says once after a form was carried out. An address holds only the key: nobody puts words in our mouth."""

from collections.abc import Mapping

NOTICES: Mapping[str, str] = {
    "signed-out": "You are signed out.",
    "saved": "Saved.",
    "password-changed": "Your password is changed. Your other sessions have ended.",
    "session-ended": "That session has ended.",
    "token-revoked": "The token is revoked.",
    "topic-created": "The topic is made. A producer can write to it now.",
    "topic-deleted": "The topic is deleted. Its files and objects go after the grace period.",
    "config-applied": "The configuration is applied.",
    "nothing-changed": "Nothing was different, so nothing was changed.",
    "partitions-added": "The partitions are added.",
    "job-started": "The work has begun. Its progress is shown below.",
    "key-revoked": "The key is revoked. Its connections are being closed.",
    "account-deleted": "The service account and its keys are gone.",
    "tenant-created": "The tenant is made.",
    "tenant-suspended": "The tenant is suspended: none of its keys works until it is resumed.",
    "tenant-resumed": "The tenant works again.",
    "tenant-deleted": "The tenant is deleted.",
    "namespace-created": "The namespace is made.",
    "namespace-deleted": "The namespace is deleted.",
    "namespace-suspended": "The namespace is suspended: none of its keys works until it is resumed.",
    "namespace-resumed": "The namespace works again.",
    "role-granted": "The role is given.",
    "role-revoked": "The role is taken back.",
    "member-disabled": "The member is disabled, and their sessions have ended.",
    "member-enabled": "The member can sign in again.",
    "member-deleted": "The member is deleted.",
}
