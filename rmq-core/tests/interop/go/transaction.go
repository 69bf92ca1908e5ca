package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// teller is the producer's side of its transactions. What is to become of a message is the start of
// its body; "later" in it leaves that to a question of the broker.
type teller struct {
	mutex     sync.Mutex
	questions map[string]int
}

func outcome(body string) primitive.LocalTransactionState {
	switch {
	case strings.HasPrefix(body, "commit"):
		return primitive.CommitMessageState
	case strings.HasPrefix(body, "rollback"):
		return primitive.RollbackMessageState
	}
	return primitive.UnknowState
}

func (t *teller) ExecuteLocalTransaction(
	message *primitive.Message) primitive.LocalTransactionState {
	if strings.Contains(string(message.Body), "later") {
		return primitive.UnknowState
	}
	return outcome(string(message.Body))
}

func (t *teller) CheckLocalTransaction(
	message *primitive.MessageExt) primitive.LocalTransactionState {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.questions[string(message.Body)]++
	return outcome(string(message.Body))
}

func (t *teller) asked() map[string]int {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	copied := map[string]int{}
	for body, times := range t.questions {
		copied[body] = times
	}
	return copied
}

func (s *scope) transactional(group string, listener *teller) rocketmq.TransactionProducer {
	client, err := rocketmq.NewTransactionProducer(listener,
		producer.WithNsResolver(primitive.NewPassthroughResolver(s.namesrv)),
		producer.WithGroupName(group),
		producer.WithInstanceName(s.instance()),
		producer.WithRetry(0))
	must(err, "transaction producer")
	must(client.Start(), "start of the transaction producer")
	return client
}

func sendInTransaction(client rocketmq.TransactionProducer, topic, body string) {
	message := primitive.NewMessage(topic, []byte(body)).WithTag("T").WithKeys([]string{body})
	result, err := client.SendMessageInTransaction(context.Background(), message)
	must(err, "send "+body)
	check(result.Status == primitive.SendOK, "send status %v", result.Status)
}

// transactionEnds: committed and rolled back at once, or when the broker asks.
func transactionEnds(s *scope) {
	topic := s.topic(2)
	found := &received{}
	s.pushInto(found, s.name("g"), topic, "T")
	listener := &teller{questions: map[string]int{}}
	client := s.transactional(s.name("tellers"), listener)
	s.onClose(func() { must(client.Shutdown(), "shutdown of the transaction producer") })
	var expected []string
	later := 0
	for i := 0; i < 24; i++ {
		end := []string{"commit", "rollback"}[i%2]
		when := []string{"now", "later"}[i/2%2]
		body := fmt.Sprintf("%s-%s-%d", end, when, i)
		sendInTransaction(client, topic, body)
		if end == "commit" {
			expected = append(expected, body)
		}
		if when == "later" {
			later++
		}
	}
	found.exactly(expected, 30*time.Second, "committed messages")
	eventually(10*time.Second, "all questions", func() bool {
		return len(listener.asked()) == later
	})
	time.Sleep(2500 * time.Millisecond)
	for body, times := range listener.asked() {
		check(strings.Contains(body, "later") && times == 1, "%s: %d questions", body, times)
	}
	check(len(found.all()) == len(expected), "%d deliveries", len(found.all()))
}

// transactionOtherProducer: who is gone leaves its transactions to another one of its group.
func transactionOtherProducer(s *scope) {
	topic := s.topic(1)
	found := &received{}
	s.pushInto(found, s.name("g"), topic, "*")
	first := &teller{questions: map[string]int{}}
	dying := s.transactional(s.name("tellers"), first)
	for _, body := range []string{"commit-later-1", "rollback-later-2", "commit-later-3"} {
		sendInTransaction(dying, topic, body)
	}
	must(dying.Shutdown(), "shutdown of the first producer")
	second := &teller{questions: map[string]int{}}
	staying := s.transactional(s.name("tellers"), second)
	s.onClose(func() { must(staying.Shutdown(), "shutdown of the second producer") })
	// Both masters are to know the one that stays.
	for range s.brokers {
		sendInTransaction(staying, topic, "rollback-now")
	}
	found.exactly([]string{"commit-later-1", "commit-later-3"}, 30*time.Second,
		"messages that the other producer commits")
	eventually(10*time.Second, "a question about each", func() bool {
		return len(second.asked()) == 3
	})
	check(len(first.asked()) == 0, "questions to the one that is gone: %v", first.asked())
}
