"""Suites of questions with known answers, what runs them against models and budgets, and the report."""
