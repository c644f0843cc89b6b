"""What an app's author types: `app.add_middleware(levqor.asgi.Middleware)`."""

from levqor.client.asgi import LevqorMiddleware as Middleware

__all__ = ["Middleware"]
