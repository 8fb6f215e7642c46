"""What of the client libraries follows from the API's document: `make sdks` writes it, `make sdks check=1` compares."""
