"""One call of the user's code: its context, its way back to the client, its cancellation, its thread."""
