"""What users declare: tools, resources, prompts, and the schemas and validators derived from their signatures."""
