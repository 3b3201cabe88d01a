"""The search for a part that differs, which the app has: learned and held to few false alarms, then measured."""
