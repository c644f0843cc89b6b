"""Every channel that is configured."""

from levqor.alerts.apprise import Apprise
from levqor.alerts.telegram import Telegram
from levqor.alerts.webhook import Webhook
from levqor.ports import Alerts, Clock
from levqor.settings import Settings


def alert_channels(settings: Settings, clock: Clock) -> list[Alerts]:
    """Every channel that is configured; nothing is opened."""
    channels: list[Alerts] = []
    if settings.telegram_bot_token is not None and settings.telegram_chat_id is not None:
        token, chat_id = settings.telegram_bot_token.get_secret_value(), settings.telegram_chat_id.get_secret_value()
        channels.append(Telegram(token, chat_id, settings.telegram_api_base))
    if settings.alert_webhook_url is not None and settings.alert_webhook_secret is not None:
        url, secret = settings.alert_webhook_url.get_secret_value(), settings.alert_webhook_secret.get_secret_value()
        channels.append(Webhook(url, secret, clock))
    channels += [Apprise(url.get_secret_value(), number) for number, url in enumerate(settings.alert_urls, 1)]
    return channels
