"""The two ways to the jobs: through the service's socket when it answers, else straight to the store.

They give the same records and raise the same errors; a Client chooses once.
"""
