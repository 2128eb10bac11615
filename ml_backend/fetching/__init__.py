"""The one way to what lies outside: addresses checked as they are connected to, time and size bounded."""
