"""The least that a request takes in FastAPI: its JSON is read, checked and written again."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Rows(BaseModel):
    """What is asked, and answered."""

    instances: list[dict[str, Any]]


@app.post("/")
async def echo(rows: Rows) -> Rows:
    """Answer what was asked."""
    return rows
