"""Where Django keeps a request's route: on the request, which neither the WSGI environ nor the ASGI scope leads to."""

import sys
from collections.abc import MutableMapping
from typing import Any

KEPT = "levqor.django_request"


def keep(app: Any) -> bool:
    """Where `app` is what Django's `get_wsgi_application` or `get_asgi_application` answered, its requests can be found from now on."""
    handlers = sys.modules.get("django.core.handlers.base")
    if handlers is None or not isinstance(app, handlers.BaseHandler):
        return False
    request_class = getattr(app, "request_class", None)
    if isinstance(request_class, type):
        vars(app)["request_class"] = _found_again(request_class)
    return True


def _found_again(request_class: Any) -> Any:
    def __init__(self: Any, carrier: MutableMapping[str, Any], *rest: Any) -> None:  # noqa: N807 (it is one)
        request_class.__init__(self, carrier, *rest)
        carrier[KEPT] = self

    return type(request_class.__name__, (request_class,), {"__init__": __init__, "__module__": request_class.__module__})


def route_in(carrier: MutableMapping[str, Any]) -> str | None:
    """The route of the request that came in this environ or scope, which no longer refers to it afterwards."""
    match = getattr(carrier.pop(KEPT, None), "resolver_match", None)
    route = getattr(match, "route", None)
    return None if route is None else "/" + str(route)
