package amqp091

import (
	"strings"
	"unicode/utf8"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// families are the second word of a Sepia routing key, by meta.type. Sepia leaves the families to the implementation;
// these are the ones of REMReM, whose consumers bind to them: RoutingKeyFamilies in eiffel-community/eiffel-remrem-semantics
// (as of June 2026). An event type that is not among them has the family "_".
var families = map[string]string{
	"EiffelActivityCanceledEvent":                     "activity",
	"EiffelActivityFinishedEvent":                     "activity",
	"EiffelActivityStartedEvent":                      "activity",
	"EiffelActivityTriggeredEvent":                    "activity",
	"EiffelAlertAcknowledgedEvent":                    "alert",
	"EiffelAlertCeasedEvent":                          "alert",
	"EiffelAlertRaisedEvent":                          "alert",
	"EiffelAnnouncementPublishedEvent":                "announcement",
	"EiffelArtifactCreatedEvent":                      "artifact",
	"EiffelArtifactDeployedEvent":                     "artifact",
	"EiffelArtifactPublishedEvent":                    "artifact",
	"EiffelArtifactReusedEvent":                       "artifact",
	"EiffelCompositionDefinedEvent":                   "cm",
	"EiffelConfidenceLevelModifiedEvent":              "artifact",
	"EiffelEnvironmentDefinedEvent":                   "cm",
	"EiffelFlowContextDefinedEvent":                   "flowcontext",
	"EiffelIssueDefinedEvent":                         "test",
	"EiffelIssueVerifiedEvent":                        "test",
	"EiffelServiceAllocatedEvent":                     "service",
	"EiffelServiceDeployedEvent":                      "service",
	"EiffelServiceDiscontinuedEvent":                  "service",
	"EiffelServiceReturnedEvent":                      "service",
	"EiffelServiceStartedEvent":                       "service",
	"EiffelServiceStoppedEvent":                       "service",
	"EiffelSourceChangeCreatedEvent":                  "cm",
	"EiffelSourceChangeSubmittedEvent":                "cm",
	"EiffelTestCaseCanceledEvent":                     "test",
	"EiffelTestCaseFinishedEvent":                     "test",
	"EiffelTestCaseStartedEvent":                      "test",
	"EiffelTestCaseTriggeredEvent":                    "test",
	"EiffelTestExecutionRecipeCollectionCreatedEvent": "test",
	"EiffelTestSuiteFinishedEvent":                    "test",
	"EiffelTestSuiteStartedEvent":                     "test",
}

// emptyWord stands where a word of the key would be empty.
const emptyWord = "_"

// RoutingKey is the routing key of a message, at most 255 bytes of valid UTF-8.
//
// An Eiffel event has the key of the Sepia recommendations ("RabbitMQ Message Broker", client requirements):
// eiffel.<family>.<type>.<tag>.<domainId>, where "_" stands for what is empty. A period in the tag becomes "_", since a
// consumer counts the words; a domain id may have periods, as it comes last. What is too long is cut off the end of the
// domain id. A CDEvent, which Sepia has no word for, has its own type as the key: dev.cdevents.service.deployed.0.2.0.
func RoutingKey(m transport.Message) string {
	if isCDEvent(m) {
		return orEmptyWord(cut(valid(m.Type), maxShortString))
	}
	family := families[m.Type]
	// A type and a tag that fill the key by themselves leave room for one another and for a domain id of "_".
	key := "eiffel." + orEmptyWord(family) +
		"." + orEmptyWord(cut(word(m.Type), 100)) +
		"." + orEmptyWord(cut(word(m.Tag), 100)) + "."
	domain := strings.TrimRight(cut(valid(m.DomainID), maxShortString-len(key)), ".")
	return key + orEmptyWord(domain)
}

func isCDEvent(m transport.Message) bool {
	return m.Protocol == transport.CDEvents || m.Protocol == "" && strings.HasPrefix(m.Type, "dev.cdevents")
}

func orEmptyWord(s string) string {
	if s == "" {
		return emptyWord
	}
	return s
}

// word makes one word of a key.
func word(s string) string { return strings.ReplaceAll(valid(s), ".", "_") }

func valid(s string) string { return strings.ToValidUTF8(s, "_") }

// cut shortens s to at most limit bytes without cutting a character in two.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
