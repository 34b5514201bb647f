"""The lessons and the words that the page explains, read from lessons.toml, whose head says how they are written."""

import tomllib
from importlib.resources import files
from typing import Any

SEEDS = 16  # of each run of a question


def lessons_and_words() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lessons in their order, each with its `total` minutes, and the words."""
    text = (files("analysis.playground") / "lessons.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    lessons = [
        {**lesson, "total": lesson["minutes"] + sum(question["minutes"] for question in lesson["question"])}
        for lesson in tables["lesson"]
    ]
    return lessons, tables["word"]


def questions() -> list[list[dict[str, Any]]]:
    """The questions of each lesson."""
    return [lesson["question"] for lesson in lessons_and_words()[0]]
