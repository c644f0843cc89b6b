"""What an app's author types: `app.wsgi_app = levqor.wsgi.Middleware(app.wsgi_app)`."""

from levqor.client.wsgi import LevqorMiddleware as Middleware

__all__ = ["Middleware"]
