//! The permissions that StackStorm's roles grant, and the types of resources they are granted on.

/// Something on which permissions can be granted; StackStorm's names, which begin a uid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// A runner type.
    RunnerType,
    /// A pack; what is granted on it covers its content.
    Pack,
    /// A sensor.
    SensorType,
    /// An action.
    Action,
    /// An action alias.
    ActionAlias,
    /// A rule.
    Rule,
    /// What a rule did with an event.
    RuleEnforcement,
    /// A type of policies.
    PolicyType,
    /// A policy.
    Policy,
    /// An execution.
    Execution,
    /// An item of the datastore.
    KeyValuePair,
    /// A webhook.
    Webhook,
    /// A timer.
    Timer,
    /// An API key.
    ApiKey,
    /// A trace.
    Trace,
    /// A trigger, and its events.
    Trigger,
    /// The stream of what changes.
    Stream,
    /// A question to people.
    Inquiry,
    /// The audit record; Squall's own.
    Audit,
}

impl ResourceType {
    /// All types.
    pub const ALL: [ResourceType; 19] = [
        ResourceType::RunnerType,
        ResourceType::Pack,
        ResourceType::SensorType,
        ResourceType::Action,
        ResourceType::ActionAlias,
        ResourceType::Rule,
        ResourceType::RuleEnforcement,
        ResourceType::PolicyType,
        ResourceType::Policy,
        ResourceType::Execution,
        ResourceType::KeyValuePair,
        ResourceType::Webhook,
        ResourceType::Timer,
        ResourceType::ApiKey,
        ResourceType::Trace,
        ResourceType::Trigger,
        ResourceType::Stream,
        ResourceType::Inquiry,
        ResourceType::Audit,
    ];

    /// The name with which uids of this type begin.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ResourceType::RunnerType => "runner_type",
            ResourceType::Pack => "pack",
            ResourceType::SensorType => "sensor_type",
            ResourceType::Action => "action",
            ResourceType::ActionAlias => "action_alias",
            ResourceType::Rule => "rule",
            ResourceType::RuleEnforcement => "rule_enforcement",
            ResourceType::PolicyType => "policy_type",
            ResourceType::Policy => "policy",
            ResourceType::Execution => "execution",
            ResourceType::KeyValuePair => "key_value_pair",
            ResourceType::Webhook => "webhook",
            ResourceType::Timer => "timer",
            ResourceType::ApiKey => "api_key",
            ResourceType::Trace => "trace",
            ResourceType::Trigger => "trigger",
            ResourceType::Stream => "stream",
            ResourceType::Inquiry => "inquiry",
            ResourceType::Audit => "audit",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<ResourceType> {
        ResourceType::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// The permissions that can be granted on such a resource, by its uid.
    pub fn permissions(self) -> impl Iterator<Item = Permission> {
        let all = Permission::ALL.iter().copied();
        all.filter(move |permission| permission.can_be_granted_on(self))
    }
}

macro_rules! permissions {
    ($($variant:ident $resource:ident $text:literal $summary:literal)*) => {
        /// Something that a role can allow. `Display` and [`Permission::name`] are StackStorm's names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            $(#[doc = $summary] $variant,)*
        }

        impl Permission {
            /// All permissions.
            pub const ALL: &'static [Permission] = &[$(Permission::$variant),*];

            /// StackStorm's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Permission::$variant => $text,)* }
            }

            /// What it allows, in one sentence.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Permission::$variant => $summary,)* }
            }

            /// The type of resources that it is about.
            #[must_use]
            pub fn resource_type(self) -> ResourceType {
                match self { $(Permission::$variant => ResourceType::$resource,)* }
            }
        }
    };
}

permissions! {
    RunnerTypeList RunnerType "runner_type_list" "List runner types."
    RunnerTypeView RunnerType "runner_type_view" "See a runner type."
    RunnerTypeModify RunnerType "runner_type_modify" "Change a runner type; implies seeing it."
    RunnerTypeAll RunnerType "runner_type_all" "Do everything with a runner type."
    PackList Pack "pack_list" "List packs."
    PackView Pack "pack_view" "See a pack, its files and its configuration."
    PackCreate Pack "pack_create" "Make a pack."
    PackModify Pack "pack_modify" "Change a pack, its trigger types and its files."
    PackDelete Pack "pack_delete" "Remove a pack."
    PackInstall Pack "pack_install" "Install packs."
    PackUninstall Pack "pack_uninstall" "Uninstall packs."
    PackRegister Pack "pack_register" "Register what the files of packs define."
    PackConfig Pack "pack_config" "Configure a pack."
    PackSearch Pack "pack_search" "Search the index of packs."
    PackViewsIndexHealth Pack "pack_views_index_health" "See how the indexes of packs fare."
    PackAll Pack "pack_all" "Do everything with a pack itself; its content needs grants of its own."
    SensorTypeList SensorType "sensor_type_list" "List sensors."
    SensorTypeView SensorType "sensor_type_view" "See a sensor."
    SensorTypeModify SensorType "sensor_type_modify" "Switch a sensor on or off; implies seeing it."
    SensorTypeAll SensorType "sensor_type_all" "Do everything with a sensor."
    ActionList Action "action_list" "List actions."
    ActionView Action "action_view" "See an action and its executions."
    ActionCreate Action "action_create" "Make an action; implies seeing it."
    ActionModify Action "action_modify" "Change an action; implies seeing it."
    ActionDelete Action "action_delete" "Remove an action; implies seeing it."
    ActionExecute Action "action_execute" "Run an action, run it again, stop it; implies seeing it."
    ActionAll Action "action_all" "Do everything with an action."
    ActionAliasList ActionAlias "action_alias_list" "List action aliases."
    ActionAliasView ActionAlias "action_alias_view" "See an action alias."
    ActionAliasCreate ActionAlias "action_alias_create" "Make an action alias; implies seeing it."
    ActionAliasModify ActionAlias "action_alias_modify" "Change an action alias; implies seeing it."
    ActionAliasMatch ActionAlias "action_alias_match" "Ask which alias a command means."
    ActionAliasHelp ActionAlias "action_alias_help" "Ask what can be said."
    ActionAliasDelete ActionAlias "action_alias_delete" "Remove an action alias; implies seeing it."
    ActionAliasAll ActionAlias "action_alias_all" "Do everything with an action alias."
    RuleList Rule "rule_list" "List rules."
    RuleView Rule "rule_view" "See a rule and what it did."
    RuleCreate Rule "rule_create" "Make a rule; implies seeing it."
    RuleModify Rule "rule_modify" "Change a rule; implies seeing it."
    RuleDelete Rule "rule_delete" "Remove a rule; implies seeing it."
    RuleAll Rule "rule_all" "Do everything with a rule."
    RuleEnforcementList RuleEnforcement "rule_enforcement_list" "List what rules did."
    RuleEnforcementView RuleEnforcement "rule_enforcement_view" "See what a rule did with an event."
    PolicyTypeList PolicyType "policy_type_list" "List types of policies."
    PolicyTypeView PolicyType "policy_type_view" "See a type of policies."
    PolicyTypeAll PolicyType "policy_type_all" "Do everything with a type of policies."
    PolicyList Policy "policy_list" "List policies."
    PolicyView Policy "policy_view" "See a policy."
    PolicyCreate Policy "policy_create" "Make a policy; implies seeing it."
    PolicyModify Policy "policy_modify" "Change a policy; implies seeing it."
    PolicyDelete Policy "policy_delete" "Remove a policy; implies seeing it."
    PolicyAll Policy "policy_all" "Do everything with a policy."
    ExecutionList Execution "execution_list" "List executions."
    ExecutionView Execution "execution_view" "See an execution."
    ExecutionReRun Execution "execution_rerun" "Run an execution's action again."
    ExecutionStop Execution "execution_stop" "Cancel, pause or resume an execution."
    ExecutionAll Execution "execution_all" "Do everything with an execution."
    ExecutionViewsFiltersList Execution "execution_views_filters_list" "List by what executions can be filtered."
    KeyValuePairList KeyValuePair "key_value_pair_list" "List an item of the datastore."
    KeyValuePairView KeyValuePair "key_value_pair_view" "See an item of the datastore."
    KeyValuePairSet KeyValuePair "key_value_pair_set" "Write an item of the datastore; implies seeing it."
    KeyValuePairDelete KeyValuePair "key_value_pair_delete" "Remove an item of the datastore; implies seeing it."
    KeyValuePairAll KeyValuePair "key_value_pair_all" "Do everything with an item of the datastore."
    WebhookList Webhook "webhook_list" "List webhooks."
    WebhookView Webhook "webhook_view" "See a webhook."
    WebhookCreate Webhook "webhook_create" "Make a rule that waits for a webhook."
    WebhookSend Webhook "webhook_send" "Send to a webhook."
    WebhookDelete Webhook "webhook_delete" "Remove a webhook."
    WebhookAll Webhook "webhook_all" "Do everything with a webhook."
    TimerList Timer "timer_list" "List timers."
    TimerView Timer "timer_view" "See a timer."
    TimerAll Timer "timer_all" "Do everything with a timer."
    ApiKeyList ApiKey "api_key_list" "List API keys."
    ApiKeyView ApiKey "api_key_view" "See an API key's record."
    ApiKeyCreate ApiKey "api_key_create" "Make an API key for oneself."
    ApiKeyModify ApiKey "api_key_modify" "Change an API key's record; implies seeing it."
    ApiKeyDelete ApiKey "api_key_delete" "Remove an API key; implies seeing it."
    ApiKeyAll ApiKey "api_key_all" "Do everything with an API key."
    TraceList Trace "trace_list" "List traces, as far as they hold what one may see."
    TraceView Trace "trace_view" "See a trace, as far as it holds what one may see."
    TraceAll Trace "trace_all" "Do everything with a trace."
    TriggerList Trigger "trigger_list" "List triggers and events."
    TriggerView Trigger "trigger_view" "See a trigger and its events."
    TriggerAll Trigger "trigger_all" "Do everything with a trigger; send its events once more."
    StreamView Stream "stream_view" "Follow what changes, as far as one may see it."
    InquiryList Inquiry "inquiry_list" "List the questions that wait for an answer."
    InquiryView Inquiry "inquiry_view" "See any question that waits for an answer."
    InquiryRespond Inquiry "inquiry_respond" "Answer any question; implies seeing it."
    InquiryAll Inquiry "inquiry_all" "Do everything with a question."
    AuditList Audit "audit_list" "See who did what, or was refused."
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Permission {
    /// The permission of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Permission> {
        Permission::ALL
            .iter()
            .copied()
            .find(|one| one.name() == name)
    }

    /// What may be done, as `view` in `action_view`.
    #[must_use]
    pub fn verb(self) -> &'static str {
        let name = self.name();
        let prefix = self.resource_type().name().len() + 1;
        name.get(prefix..).unwrap_or_default()
    }

    /// Whether it only reads, so that observers have it. What everybody did is for those who are
    /// told to look at it.
    #[must_use]
    pub fn is_read(self) -> bool {
        if self == Permission::AuditList {
            return false;
        }
        let reads = [
            "view",
            "list",
            "search",
            "views_filters_list",
            "views_index_health",
        ];
        reads.contains(&self.verb())
    }

    /// Whether a role may grant it without naming a resource: it then holds for all of them.
    #[must_use]
    pub fn is_global(self) -> bool {
        use Permission as P;
        self.verb().ends_with("list")
            || matches!(
                self,
                P::PackInstall
                    | P::PackUninstall
                    | P::PackCreate
                    | P::PackRegister
                    | P::PackConfig
                    | P::PackSearch
                    | P::PackViewsIndexHealth
                    | P::ActionAliasMatch
                    | P::ActionAliasHelp
                    | P::ApiKeyCreate
                    | P::PolicyCreate
                    | P::StreamView
                    | P::InquiryRespond
                    | P::InquiryView
            )
    }

    /// Whether it can be granted on a resource of that type: on one of its own type, or, for what
    /// packs contain, on the pack.
    #[must_use]
    pub fn can_be_granted_on(self, resource: ResourceType) -> bool {
        use ResourceType as R;
        let own = self.resource_type();
        if own == resource {
            return own != R::Stream;
        }
        let is_content = matches!(
            own,
            R::SensorType | R::Action | R::ActionAlias | R::Rule | R::Policy
        );
        resource == R::Pack && is_content && !matches!(self.verb(), "list" | "match" | "help")
    }

    /// The permissions of which any one allows this on the resource itself or on its pack.
    #[must_use]
    pub fn granted_by(self) -> Permissions {
        let kind = self.resource_type();
        let own = Permission::ALL
            .iter()
            .copied()
            .filter(|one| one.resource_type() == kind);
        let suffices = own.filter(|one| match self.verb() {
            // Who may do something with an object may see it.
            "view" => {
                !one.is_global()
                    || *one == self
                    || *one == Permission::InquiryRespond
                    || kind == ResourceType::KeyValuePair
                    || one.verb() == "create"
            }
            _ => *one == self || one.verb() == "all",
        });
        suffices.collect()
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u128);

impl Permissions {
    /// Adds one.
    pub fn insert(&mut self, permission: Permission) {
        self.0 |= 1 << permission as u32;
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: Permissions) {
        self.0 |= other.0;
    }

    /// Whether one is in the set.
    #[must_use]
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u32 != 0
    }

    /// Whether any of the other set is in this one.
    #[must_use]
    pub fn has_any(self, other: Permissions) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(iter: I) -> Permissions {
        let mut set = Permissions::default();
        iter.into_iter()
            .for_each(|permission| set.insert(permission));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted_by(name: &str) -> String {
        let set = Permission::from_name(name).unwrap().granted_by();
        let names = Permission::ALL.iter().filter(|one| set.contains(**one));
        names.map(|one| one.name()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_set_holds_all_permissions() {
        assert!(Permission::ALL.len() <= 128);
        for permission in Permission::ALL {
            assert_eq!(Permission::from_name(permission.name()), Some(*permission));
            let alone: Permissions = [*permission].into_iter().collect();
            let held = Permission::ALL.iter().filter(|one| alone.contains(**one));
            assert_eq!(held.count(), 1, "{permission}");
        }
    }

    #[test]
    fn doing_implies_seeing_and_nothing_else() {
        for (permission, expect) in [
            (
                "action_view",
                "action_view action_create action_modify action_delete action_execute action_all",
            ),
            ("action_execute", "action_execute action_all"),
            ("action_list", "action_list action_all"),
            ("rule_modify", "rule_modify rule_all"),
            (
                "policy_view",
                "policy_view policy_create policy_modify policy_delete policy_all",
            ),
            ("inquiry_view", "inquiry_view inquiry_respond inquiry_all"),
            ("inquiry_respond", "inquiry_respond inquiry_all"),
            (
                "key_value_pair_view",
                "key_value_pair_list key_value_pair_view key_value_pair_set \
                 key_value_pair_delete key_value_pair_all",
            ),
            (
                "execution_view",
                "execution_view execution_rerun execution_stop execution_all",
            ),
        ] {
            assert_eq!(granted_by(permission), expect, "{permission}");
        }
    }

    #[test]
    fn packs_take_grants_for_their_content() {
        let on = |name: &str, kind| Permission::from_name(name).unwrap().can_be_granted_on(kind);
        assert!(on("action_execute", ResourceType::Pack));
        assert!(on("rule_create", ResourceType::Pack));
        assert!(!on("action_list", ResourceType::Pack));
        assert!(!on("execution_view", ResourceType::Pack));
        assert!(!on("action_execute", ResourceType::Rule));
        assert!(!on("stream_view", ResourceType::Stream));
    }

    #[test]
    fn observers_read() {
        let reads = Permission::ALL.iter().filter(|one| one.is_read());
        let others = |verb: &str| matches!(verb, "create" | "modify" | "all" | "execute" | "send");
        assert!(reads.clone().all(|one| !others(one.verb())));
        assert!(reads.clone().any(|one| *one == Permission::PackSearch));
        assert!(!Permission::ActionAliasMatch.is_read());
    }
}
