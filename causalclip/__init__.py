"""CausalCLIP: was this picture generated, and which part of it says so?"""
