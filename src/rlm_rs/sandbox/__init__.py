"""The step program: runs one step of model-written code over a corpus.

It ships alone (a subprocess, a Lambda function), so it imports the standard library and the two text
engines (google-re2, stringzilla) and nothing else of this project.
"""
