"""What is kept for each project: model versions, queues and documents; on one machine or shared between several."""
