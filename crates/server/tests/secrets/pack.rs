//! A pack whose definitions hand secrets on in every way that packs know.

/// Its files, below the directory of packs.
pub(crate) const PACK: &[(&str, &str)] = &[
    (
        "vault/pack.yaml",
        "name: vault\nref: vault\nversion: 1.0.0\n",
    ),
    (
        "vault/config.schema.yaml",
        "token: {type: string, secret: true, required: true}
login:
  type: object
  properties:
    name: {type: string}
    password: {type: string, secret: true}
",
    ),
    // Prints a secret that it was given in its environment, and may fail.
    (
        "vault/actions/shell.yaml",
        r#"name: shell
runner_type: local-shell-cmd
parameters:
  password: {type: string, secret: true, required: true}
  code: {type: integer, default: 0}
  env: {type: object, immutable: true, default: {PASSWORD: "{{ password }}"}}
  cmd: {immutable: true, default: 'echo "out $PASSWORD"; echo "err $PASSWORD" >&2; exit {{ code }}'}
notify:
  on-complete: {message: "ended with {{ action_parameters.password }}", routes: [vault]}
"#,
    ),
    // Has the secret in its command, and waits until it is let go.
    (
        "vault/actions/wait.yaml",
        r#"name: wait
runner_type: local-shell-cmd
parameters:
  password: {type: string, secret: true, required: true}
  fifo: {type: string, required: true}
  cmd: {immutable: true, default: 'x="{{ password }}"; read line < {{ fifo }}; echo "$x"'}
"#,
    ),
    (
        "vault/actions/python.yaml",
        "name: python
runner_type: python-script
entry_point: python.py
parameters:
  password: {type: string, secret: true, required: true}
  mode: {type: string, default: give}
",
    ),
    (
        "vault/actions/python.py",
        r#"from st2common.runners.base_action import Action


class Tell(Action):
    def run(self, password, mode):
        print("printed " + password)
        self.logger.error("logged %s", password)
        assert self.config.get("token")
        if mode == "raise":
            raise ValueError("cannot sign in with " + password)
        if mode == "fail":
            return False, "wrong password " + password
        if mode.startswith("/"):
            open(mode).read()
        return {"deep": [{"password": password}], "text": "it is " + password}
"#,
    ),
    // Fails to connect, with the secret in a header and in the address.
    (
        "vault/actions/ask.yaml",
        r#"name: ask
runner_type: http-request
parameters:
  password: {type: string, secret: true, required: true}
  url: {immutable: true, default: "http://127.0.0.1:1/?key={{ password }}"}
  headers: {type: object, immutable: true, default: {Authorization: "Bearer {{ password }}"}}
"#,
    ),
    (
        "vault/actions/choice.yaml",
        "name: choice
runner_type: noop
parameters:
  password: {type: integer, secret: true}
  pin: {type: string, secret: true, enum: [a, b]}
",
    ),
    (
        "vault/actions/limited.yaml",
        "name: limited
runner_type: noop
parameters:
  password: {type: string, secret: true}
",
    ),
    (
        "vault/policies/limited.yaml",
        "name: limited
resource_ref: vault.limited
policy_type: action.concurrency.attr
parameters: {threshold: 1, attributes: [password]}
",
    ),
    (
        "vault/actions/flow.yaml",
        "name: flow
runner_type: orquesta
entry_point: workflows/flow.yaml
parameters:
  password: {type: string, secret: true, required: true}
  code: {type: integer, default: 0}
",
    ),
    // Hands its secret on to tasks, publishes it, and has it in its output.
    (
        "vault/actions/workflows/flow.yaml",
        "version: 1.0
input: [password, code]
vars:
  - again: <% ctx().password %>
output:
  - told: it was <% ctx().kept %>
tasks:
  first:
    action: vault.python
    input: {password: <% ctx().again %>}
    next:
      - when: <% succeeded() %>
        publish: [kept: <% ctx().password %>]
        do: second
  second:
    action: vault.shell
    input: {password: <% ctx().kept %>, code: <% ctx().code %>}
",
    ),
    (
        "vault/actions/outer.yaml",
        "name: outer
runner_type: orquesta
entry_point: workflows/outer.yaml
parameters:
  password: {type: string, secret: true, required: true}
",
    ),
    (
        "vault/actions/workflows/outer.yaml",
        "version: 1.0
input: [password]
tasks:
  inner:
    action: vault.flow
    input: {password: <% ctx().password %>, code: 3}
",
    ),
    // Its expressions fail over the secret.
    (
        "vault/actions/wrong.yaml",
        "name: wrong
runner_type: orquesta
entry_point: workflows/wrong.yaml
parameters:
  password: {type: string, secret: true, required: true}
",
    ),
    (
        "vault/actions/workflows/wrong.yaml",
        "version: 1.0
input: [password]
tasks:
  first:
    action: core.noop
    next:
      - publish: [number: <% int(ctx().password) %>]
        do: second
  second:
    action: core.noop
",
    ),
    (
        "vault/actions/chain.yaml",
        "name: chain
runner_type: action-chain
entry_point: chains/chain.yaml
parameters:
  password: {type: string, secret: true, required: true}
",
    ),
    (
        "vault/actions/chains/chain.yaml",
        "vars:
  again: '{{ password }}'
chain:
  - name: first
    ref: vault.shell
    parameters: {password: '{{ again }}'}
    publish: {kept: '{{ password }}'}
    on-success: second
  - name: second
    ref: vault.python
    parameters: {password: '{{ kept }}', mode: fail}
",
    ),
    // Takes its secret from the datastore.
    (
        "vault/actions/stored.yaml",
        "name: stored
runner_type: orquesta
entry_point: workflows/stored.yaml
",
    ),
    (
        "vault/actions/workflows/stored.yaml",
        "version: 1.0
tasks:
  first:
    action: vault.python
    input:
      password: <% st2kv('system.vault_key', decrypt => true) %>
",
    ),
    (
        "vault/actions/question.yaml",
        "name: question
runner_type: orquesta
entry_point: workflows/question.yaml
",
    ),
    (
        "vault/actions/workflows/question.yaml",
        "version: 1.0
tasks:
  ask:
    action: core.ask
    input:
      schema:
        type: object
        properties:
          password: {type: string, secret: true, required: true}
    next:
    - when: <% succeeded() %>
      publish: [{answer: <% result().response.password %>}]
      do: use
  use:
    action: vault.python
    input: {password: <% task(ask).result.response.password %>}
output: [{told: <% ctx().answer %>}]
",
    ),
    (
        "vault/triggers/told.yaml",
        "name: told
pack: vault
payload_schema:
  type: object
  properties:
    password: {type: string, secret: true}
",
    ),
    (
        "vault/rules/told.yaml",
        r#"name: told
pack: vault
enabled: true
trigger: {type: vault.told}
criteria: {}
action: {ref: vault.shell, parameters: {password: "{{ trigger.password }}"}}
"#,
    ),
    // Refuses what it is given.
    (
        "vault/rules/refused.yaml",
        r#"name: refused
pack: vault
enabled: true
trigger: {type: vault.told}
criteria: {}
action: {ref: vault.choice, parameters: {pin: "{{ trigger.password }}"}}
"#,
    ),
    (
        "vault/aliases/open.yaml",
        r#"name: open
pack: vault
action_ref: vault.python
formats: ["open vault with {{ password }}"]
ack: {format: "opening it with {{ execution.parameters.password }}"}
"#,
    ),
    // Their commands cannot be put together, and the reasons tell of the secret.
    (
        "vault/actions/misread.yaml",
        r#"name: misread
runner_type: local-shell-cmd
parameters:
  password: {type: string, secret: true, required: true}
  cmd: {immutable: true, default: "echo {{ password | from_json_string }}"}
"#,
    ),
    (
        "vault/actions/missing.yaml",
        r#"name: missing
runner_type: local-shell-cmd
parameters:
  password: {type: string, secret: true, required: true}
  cmd: {immutable: true, default: "echo {{ action_context[password].x }}"}
"#,
    ),
    (
        "vault/actions/items.yaml",
        "name: items
runner_type: orquesta
entry_point: workflows/items.yaml
parameters:
  password: {type: string, secret: true, required: true}
",
    ),
    (
        "vault/actions/workflows/items.yaml",
        "version: 1.0
input: [password]
tasks:
  each:
    with: <% [ctx().password, ctx().password] %>
    action: vault.python
    input: {password: <% item() %>}
",
    ),
    (
        "vault/actions/retried.yaml",
        r#"name: retried
runner_type: local-shell-cmd
parameters:
  password: {type: string, secret: true, required: true}
  cmd: {immutable: true, default: 'echo "{{ password }}"; exit 1'}
"#,
    ),
    (
        "vault/policies/retried.yaml",
        "name: retried
resource_ref: vault.retried
policy_type: action.retry
parameters: {retry_on: failure, max_retry_count: 1}
",
    ),
    (
        "vault/aliases/choose.yaml",
        r#"name: choose
pack: vault
action_ref: vault.choice
formats: ["choose {{ pin }}"]
"#,
    ),
    // They fail over the secret of an event.
    (
        "vault/rules/quotes.yaml",
        r#"name: quotes
pack: vault
enabled: true
trigger: {type: vault.told}
criteria: {}
action: {ref: vault.shell, parameters: {password: "{{ trigger[trigger.password] }}"}}
"#,
    ),
    (
        "vault/rules/compares.yaml",
        "name: compares
pack: vault
enabled: true
trigger: {type: vault.told}
criteria: {trigger.password: {type: timediff_lt, pattern: 10}}
action: {ref: core.noop}
",
    ),
];
