"""What has been tried against the app, tried again: python -m scripts.redteam"""
