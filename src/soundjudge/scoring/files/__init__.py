"""Tables of pairs and predictions in anyone's files: scored, compared, submitted."""
