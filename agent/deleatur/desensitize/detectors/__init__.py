"""Detectors: where personal data stands in a text, and what a column holds. Pure.

Known values of the row come first, then shapes, then a name tagger. Shape decides what is found, a
check digit only what it is called. No pattern relies on a word boundary (ADR 15).
"""

from deleatur.desensitize.detectors.columns import classify
from deleatur.desensitize.detectors.dates import minors
from deleatur.desensitize.detectors.texts import spans
from deleatur.desensitize.detectors.types import TYPES
from deleatur.documents.detection import Detector, Finding, Level, Span, TypeInfo

__all__ = ["TYPES", "Detector", "Finding", "Level", "Span", "TypeInfo", "classify", "minors", "spans"]
