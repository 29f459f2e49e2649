"""The LiveKit session of a call: whatever does not change with the backend."""

from livekit.agents import AgentSession, APIConnectOptions, TurnHandlingOptions
from livekit.agents.llm import Tool
from livekit.agents.voice.agent_session import SessionConnectOptions

from runner.definition.spec import AgentSpec, TurnTaking

# LiveKit's own would let a caller wait 44 s for a server that hangs.
_IMPATIENT = APIConnectOptions(max_retry=1, retry_interval=0.1, timeout=4.0)


def build(spec: AgentSpec, tools: list[Tool]) -> AgentSession[None]:
    """Build the session of one call; its tools outlive a backend."""
    return AgentSession(
        tools=[*tools],
        turn_handling=_turn_handling(spec.turn_taking),
        conn_options=SessionConnectOptions(
            stt_conn_options=_IMPATIENT, llm_conn_options=_IMPATIENT, tts_conn_options=_IMPATIENT
        ),
    )


def _turn_handling(turns: TurnTaking) -> TurnHandlingOptions:
    # `interruption.enabled` and `turn_detection` are the backend's: with a realtime model they
    # mean something else here.
    return {
        "interruption": {"min_duration": turns.min_interruption_duration},
        "endpointing": {
            # Between the two delays, by the pauses that this caller makes.
            "mode": "dynamic",
            "min_delay": turns.min_endpointing_delay,
            "max_delay": turns.max_endpointing_delay,
        },
    }
