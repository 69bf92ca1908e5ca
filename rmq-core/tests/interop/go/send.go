package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func sendSync(s *scope) {
	topic := s.topic(4)
	client := s.producer()
	results := map[string][]*primitive.SendResult{}
	ids := map[string]string{}
	for i := 0; i < 64; i++ {
		body := fmt.Sprintf("sync-%d", i)
		result := sendOk(client, primitive.NewMessage(topic, []byte(body)))
		queue := fmt.Sprintf("%s/%d", result.MessageQueue.BrokerName, result.MessageQueue.QueueId)
		check(int64(len(results[queue])) == result.QueueOffset, "offset %d as number %d in %s",
			result.QueueOffset, len(results[queue]), queue)
		results[queue] = append(results[queue], result)
		ids[result.MsgID] = body
	}
	check(len(ids) == 64, "%d different message ids", len(ids))
	check(len(results) == 8, "%d queues took part", len(results))
	reader := s.reader(topic, "*")
	for _, queue := range s.queues(topic) {
		name := fmt.Sprintf("%s/%d", queue.BrokerName, queue.QueueId)
		for i, message := range readQueue(reader, queue, len(results[name])) {
			check(message.QueueOffset == int64(i), "offset %d at %d", message.QueueOffset, i)
			id := results[name][i].MsgID
			check(string(message.Body) == ids[id], "body %s for id %s", message.Body, id)
		}
	}
}

func sendAsync(s *scope) {
	topic := s.topic(2)
	client := s.producer()
	var waiting sync.WaitGroup
	var mutex sync.Mutex
	var failures []string
	for i := 0; i < 200; i++ {
		waiting.Add(1)
		err := client.SendAsync(context.Background(),
			func(_ context.Context, result *primitive.SendResult, err error) {
				defer waiting.Done()
				if err != nil || result.Status != primitive.SendOK {
					mutex.Lock()
					defer mutex.Unlock()
					failures = append(failures, fmt.Sprint(err, result))
				}
			}, primitive.NewMessage(topic, []byte(fmt.Sprintf("async-%d", i))))
		must(err, "asynchronous send")
	}
	waiting.Wait()
	check(len(failures) == 0, "callbacks: %v", failures)
	expectStored(s, topic, 200, "async-")
}

func sendOneway(s *scope) {
	topic := s.topic(2)
	client := s.producer()
	for i := 0; i < 200; i++ {
		must(client.SendOneWay(context.Background(),
			primitive.NewMessage(topic, []byte(fmt.Sprintf("oneway-%d", i)))), "one-way send")
	}
	expectStored(s, topic, 200, "oneway-")
}

// expectStored reads the topic by a push consumer and expects prefix0, prefix1, ...
func expectStored(s *scope, topic string, count int, prefix string) {
	var expected []string
	for i := 0; i < count; i++ {
		expected = append(expected, fmt.Sprintf("%s%d", prefix, i))
	}
	found := &received{}
	s.pushInto(found, s.name("check"), topic, "*")
	found.exactly(expected, 25*time.Second, "what is stored")
}

func sendBatch(s *scope) {
	topic := s.topic(1)
	client := s.producer()
	var expected []string
	for round := 0; round < 4; round++ {
		var messages []*primitive.Message
		for i := 0; i < 30; i++ {
			body := fmt.Sprintf("batch-%d-%d", round, i)
			expected = append(expected, body)
			message := primitive.NewMessage(topic, []byte(body))
			message.WithTag(fmt.Sprintf("T%d", i%3))
			message.WithProperty("index", fmt.Sprint(i))
			messages = append(messages, message)
		}
		result := sendOk(client, messages...)
		ids := strings.Split(result.OffsetMsgID, ",")
		check(len(ids) == 30, "%d offset ids", len(ids))
	}
	found := &received{}
	s.pushInto(found, s.name("check"), topic, "*")
	found.exactly(expected, 25*time.Second, "messages of batches")
	for _, message := range found.all() {
		parts := strings.Split(string(message.Body), "-")
		check(message.GetProperty("index") == parts[2], "property of %s", message.Body)
		check(strings.HasPrefix(message.GetTags(), "T"), "tag of %s", message.Body)
	}
}

func sendToQueue(s *scope) {
	topic := s.topic(3)
	client := s.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	queues := s.queues(topic)
	check(len(queues) == 6, "%d queues", len(queues))
	for i := 0; i < 60; i++ {
		message := primitive.NewMessage(topic, []byte(fmt.Sprintf("q%d", i)))
		message.Queue = queues[i%6]
		result := sendOk(client, message)
		check(result.MessageQueue.QueueId == queues[i%6].QueueId &&
			result.MessageQueue.BrokerName == queues[i%6].BrokerName, "sent to %v instead of %v",
			result.MessageQueue, queues[i%6])
	}
	reader := s.reader(topic, "*")
	for q, queue := range queues {
		for i, message := range readQueue(reader, queue, 10) {
			check(string(message.Body) == fmt.Sprintf("q%d", i*6+q), "body %s at %d of queue %d",
				message.Body, i, q)
		}
	}
}

func topicsAutoCreate(s *scope) {
	client := s.producer(producer.WithDefaultTopicQueueNums(6), producer.WithRetry(2))
	for i := 0; i < 100; i++ {
		topic := s.name(fmt.Sprintf("n%d", i))
		result := sendOk(client, primitive.NewMessage(topic, []byte("to "+topic)))
		check(result.QueueOffset == 0, "first offset %d", result.QueueOffset)
		check(result.MessageQueue.QueueId < 6, "queue %d", result.MessageQueue.QueueId)
	}
	found := &received{}
	topic := s.name("n42")
	s.pushInto(found, s.name("check"), topic, "*")
	found.exactly([]string{"to " + topic}, 20*time.Second, "a topic made by sending")
}

func randomBytes(length int) []byte {
	body := make([]byte, length)
	rand.New(rand.NewSource(int64(length))).Read(body)
	return body
}

func bodyEveryByte(s *scope) {
	topic := s.topic(1)
	client := s.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	queue := s.queues(topic)[0]
	var whole []byte
	for value := 0; value < 256; value++ {
		whole = append(whole, byte(value))
		message := primitive.NewMessage(topic, []byte{byte(value)})
		message.Queue = queue
		sendOk(client, message)
	}
	message := primitive.NewMessage(topic, whole)
	message.Queue = queue
	sendOk(client, message)
	stored := readQueue(s.reader(topic, "*"), queue, 257)
	for value := 0; value < 256; value++ {
		check(bytes.Equal(stored[value].Body, []byte{byte(value)}), "byte %d came as %v", value,
			stored[value].Body)
	}
	check(bytes.Equal(stored[256].Body, whole), "all 256 bytes in a row")
}

func bodySizes(s *scope) {
	topic := s.topic(1)
	client := s.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	queue := s.queues(topic)[0]
	lengths := []int{1, 2, 127, 128, 255, 256, 4095, 4096, 4097, 65535, 65536, 262144, 1 << 20}
	for _, length := range lengths {
		message := primitive.NewMessage(topic, randomBytes(length))
		message.Queue = queue
		sendOk(client, message)
	}
	stored := readQueue(s.reader(topic, "*"), queue, len(lengths))
	for i, length := range lengths {
		check(bytes.Equal(stored[i].Body, randomBytes(length)), "body of %d bytes differs", length)
	}
}

// bodyLimit: the largest body is taken; one byte more is refused by the broker.
func bodyLimit(s *scope) {
	const limit = 4 << 20
	topic := s.topic(1)
	client := s.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()),
		producer.WithCompressMsgBodyOverHowmuch(1<<30))
	queue := s.queues(topic)[0]
	send := func(length int) error {
		message := primitive.NewMessage(topic, randomBytes(length))
		message.Queue = queue
		_, err := client.SendSync(context.Background(), message)
		return err
	}
	must(send(limit), "a body of 4 MiB")
	for _, over := range []int{limit + 1, limit + 65536} {
		err := send(over)
		check(err != nil && strings.Contains(err.Error(), "CODE: 13"), "%d bytes: %v", over, err)
	}
	must(send(1), "a small body after refusals")
	stored := readQueue(s.reader(topic, "*"), queue, 2)
	check(bytes.Equal(stored[0].Body, randomBytes(limit)), "the body of 4 MiB differs")
}

func bodyCompressed(s *scope) {
	topic := s.topic(1)
	client := s.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	queue := s.queues(topic)[0]
	lengths := []int{4096, 4097, 100_000, 1_000_000}
	for _, length := range lengths {
		message := primitive.NewMessage(topic, bytes.Repeat([]byte("z"), length))
		message.Queue = queue
		sendOk(client, message)
	}
	for i, message := range readQueue(s.reader(topic, "*"), queue, len(lengths)) {
		check(bytes.Equal(message.Body, bytes.Repeat([]byte("z"), lengths[i])),
			"compressed body of %d bytes differs: %d", lengths[i], len(message.Body))
		check(int(message.StoreSize) < lengths[i], "stored inflated: %d", message.StoreSize)
	}
}

func propertiesUnicode(s *scope) {
	topic := s.topic(1)
	client := s.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	queue := s.queues(topic)[0]
	properties := map[string]string{
		"city":                     "M\u00fcnchen \u6771\u4eac \U0001f680",
		"\u043a\u043b\u044e\u0447": "\u0437\u043d\u0430\u0447",
		"quote":                    "\"a\" \\ {b:[1,2]} = ; \t\n\r",
	}
	message := primitive.NewMessage(topic, []byte("\u00fcber"))
	message.WithProperties(properties)
	message.WithTag("tag\u00e9")
	message.WithKeys([]string{"k1", "\u30ad\u30fc"})
	message.Queue = queue
	result := sendOk(client, message)
	stored := readQueue(s.reader(topic, "*"), queue, 1)[0]
	for key, value := range properties {
		check(stored.GetProperty(key) == value, "property %s is %q", key, stored.GetProperty(key))
	}
	check(stored.GetTags() == "tag\u00e9", "tag %q", stored.GetTags())
	check(strings.Contains(stored.GetKeys(), "\u30ad\u30fc"), "keys %q", stored.GetKeys())
	check(string(stored.Body) == "\u00fcber", "body %q", stored.Body)
	check(stored.MsgId == result.MsgID, "unique id %s instead of %s", stored.MsgId, result.MsgID)
}
