"""A small Hub on loopback, with faults to switch on, and a client that runs in its own process.

Standard library only. The client's side is always the real `huggingface_hub` over HTTP.
"""
