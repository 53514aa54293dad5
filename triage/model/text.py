"""Text for people: one door to gettext. English is the message itself; catalogues lie in `triage/locale`."""

from __future__ import annotations

import gettext
from pathlib import Path

from triage.model.errors import UsageError

_LOCALE_DIR = Path(__file__).resolve().parent.parent / "locale"
_DOMAIN = "triage"
_ENGLISH = ("en", "C", "POSIX")
_translations: gettext.NullTranslations = gettext.NullTranslations()


def set_language(language: str | None) -> None:
    """Choose the language of all text for people: a locale name such as `zh_CN`, or None for the environment's.

    Raises `UsageError` for a language that we do not have; the environment's is then English.
    """
    global _translations  # one language for a process; threads share it
    languages = None if language is None else [language]
    if language is not None and not _is_ours(language):
        ours = ", ".join(("en", *sorted(path.name for path in _LOCALE_DIR.iterdir() if path.is_dir())))
        raise UsageError(
            _("there are no messages in the language {language}").format(language=language),
            hint=_("the languages are: {languages}").format(languages=ours),
        )
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


def _is_ours(language: str) -> bool:
    english = language.partition(".")[0].partition("_")[0] in _ENGLISH
    return english or gettext.find(_DOMAIN, str(_LOCALE_DIR), [language]) is not None
