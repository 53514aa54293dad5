"""Text for people: one door to gettext. English is the message itself; catalogues lie in `triage/locale`."""

from __future__ import annotations

import gettext
from pathlib import Path

_LOCALE_DIR = Path(__file__).resolve().parent.parent / "locale"
_DOMAIN = "triage"
_translations: gettext.NullTranslations = gettext.NullTranslations()


def set_language(language: str | None) -> None:
    """Choose the language of all text for people: a locale name such as `zh_CN`, or None for the environment's."""
    global _translations  # one language for a process; threads share it
    languages = [language] if language else None
    _translations = gettext.translation(_DOMAIN, str(_LOCALE_DIR), languages=languages, fallback=True)


def language() -> str:
    """Return the chosen language as BCP 47 writes it, `en` or `zh-CN`: for markup."""
    return str(_translations.info().get("language", "en")).replace("_", "-")


def _(message: str) -> str:
    """Translate `message` into the chosen language."""
    return _translations.gettext(message) if message else ""  # gettext has its own header under ""


def ngettext(singular: str, plural: str, count: int) -> str:
    """Translate with the plural form that `count` asks for."""
    return _translations.ngettext(singular, plural, count)


def N_(message: str) -> str:  # noqa: N802  # gettext's own convention for "mark, translate when shown"
    """Mark `message` for the catalogue without translating it: JSON keeps English, renderers translate."""
    return message
