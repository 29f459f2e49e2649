CREATE TABLE agent_configs (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  system_prompt TEXT NOT NULL,
  voice_model TEXT NOT NULL DEFAULT 'coral',
  temperature INTEGER NOT NULL DEFAULT 80 CHECK (temperature BETWEEN 0 AND 100),
  response_length TEXT NOT NULL DEFAULT 'medium'
    CHECK (response_length IN ('short', 'medium', 'long'))
);

INSERT INTO agent_configs (name, system_prompt, voice_model, temperature, response_length) VALUES
  ('Default Agent', 'You are a helpful AI assistant.', 'coral', 80, 'medium'),
  ('Harbour Dental', 'You answer the phone for {{ agent.name }}. Today is {{ now.strftime(''%A'') }}.',
   'sage', 40, 'short');
