"""What is kept of each project: model versions, queues, documents; alone or shared between machines."""
