"""Privacy by construction: what is stored before anything is perceived, what is never written, and when it goes."""
