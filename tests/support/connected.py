"""A project with a connected backend."""

TITLE = "Active learning"

WORDS = ("flood in the river", "football match tonight")

AUDIO = (
    '<View><Audio name="a" value="$audio"/><Choices name="c" toName="a"><Choice value="x"/><Choice value="y"/>'
    "</Choices></View>"
)


def connect(project, url, **more):
    body = {"project": project.id, "url": url, "title": TITLE, "auth_method": "NONE"} | more
    return project.client.request("POST", "api/ml", body=body, once=True, what="Connecting").json()
