"""A provider that fails after work was done leaves the execution open; before any, it is the outcome."""

from __future__ import annotations


