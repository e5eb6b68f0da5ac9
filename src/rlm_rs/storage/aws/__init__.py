"""The AWS profile: DynamoDB for journal, catalog, work, keys and limits, S3 for blobs, SQS for wake-ups."""
