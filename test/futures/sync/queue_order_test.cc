// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/sync/queue.h"
#include "test/futures/sync/sync_world.h"

// In which order LifoQueue and PriorityQueue give their items.

namespace rondo {
namespace {

using test::SyncWorld;

template <class AQueue>
auto take_all(AQueue& queue) {
  std::vector<typename AQueue::value_type> items;
  while (!queue.empty()) items.push_back(queue.get_nowait());
  return items;
}

TEST(LifoQueue, GivesTheNewestItemFirst) {
  LifoQueue<int> queue(3);
  for (const int item : {1, 2, 3}) queue.put_nowait(item);
  EXPECT_TRUE(queue.full());
  EXPECT_EQ(SyncWorld::text(queue),
            "<LifoQueue at 0x* maxsize=3 _queue=[1, 2, 3] tasks=3>");
  EXPECT_EQ(take_all(queue), (std::vector<int>{3, 2, 1}));
}

TEST(LifoQueue, TakesItemsThatCanOnlyBeMoved) {
  LifoQueue<std::unique_ptr<int>> queue;
  queue.put_nowait(std::make_unique<int>(1));
  EXPECT_EQ(*queue.get_nowait(), 1);
}

TEST(PriorityQueue, GivesTheSmallestItemFirst) {
  PriorityQueue<int> queue;
  for (const int item : {5, 1, 4, 1, 3}) queue.put_nowait(item);
  EXPECT_EQ(take_all(queue), (std::vector<int>{1, 1, 3, 4, 5}));
}

TEST(PriorityQueue, ComparesAsItIsTold) {
  PriorityQueue<int, std::greater<int>> queue;
  for (const int item : {5, 1, 4}) queue.put_nowait(item);
  EXPECT_EQ(take_all(queue), (std::vector<int>{5, 4, 1}));
  const std::function<bool(int, int)> last_digit = [](int a, int b) {
    return a % 10 < b % 10;
  };
  PriorityQueue<int, std::function<bool(int, int)>> by_digit(0, last_digit);
  for (const int item : {15, 21, 4}) by_digit.put_nowait(item);
  EXPECT_EQ(take_all(by_digit), (std::vector<int>{21, 4, 15}));
  by_digit.put_nowait(3);
  by_digit.shutdown(true);
  EXPECT_TRUE(by_digit.empty());
}

TEST(PriorityQueue, TakesItemsThatCanOnlyBeMoved) {
  struct Less {
    bool operator()(const std::unique_ptr<int>& a,
                    const std::unique_ptr<int>& b) const {
      return *a < *b;
    }
  };
  PriorityQueue<std::unique_ptr<int>, Less> queue;
  for (const int item : {3, 1, 2, 5, 4}) {
    queue.put_nowait(std::make_unique<int>(item));
  }
  std::vector<int> items;
  while (!queue.empty()) items.push_back(*queue.get_nowait());
  EXPECT_EQ(items, (std::vector<int>{1, 2, 3, 4, 5}));
}

// The heaps that CPython's heapq makes of (i * 7) % 11, i from 0 to 10, and
// what is left of it after each pop.
TEST(PriorityQueue, MovesItsItemsAsHeapqDoes) {
  PriorityQueue<int> queue;
  for (int i = 0; i < 11; ++i) queue.put_nowait(i * 7 % 11);
  const char* const kHeaps[] = {"_queue=[0, 1, 2, 5, 4, 3, 9, 10, 6, 8, 7]",
                                "_queue=[1, 4, 2, 5, 7, 3, 9, 10, 6, 8]",
                                "_queue=[2, 4, 3, 5, 7, 8, 9, 10, 6]",
                                "_queue=[3, 4, 6, 5, 7, 8, 9, 10]",
                                "_queue=[4, 5, 6, 10, 7, 8, 9]",
                                "_queue=[5, 7, 6, 10, 9, 8]",
                                "_queue=[6, 7, 8, 10, 9]",
                                "_queue=[7, 9, 8, 10]",
                                "_queue=[8, 9, 10]",
                                "_queue=[9, 10]",
                                "_queue=[10]"};
  for (const char* heap : kHeaps) {
    const std::string text = to_string(queue);
    EXPECT_NE(text.find(heap), std::string::npos) << text << " not " << heap;
    queue.get_nowait();
  }
}

// Equal priorities: (0, 'a'), (0, 'b') ..., compared by the number only.
TEST(PriorityQueue, GivesEqualItemsInTheOrderOfHeapq) {
  struct Item {
    int priority;
    char name;
  };
  struct Less {
    bool operator()(const Item& a, const Item& b) const {
      return a.priority < b.priority;
    }
  };
  PriorityQueue<Item, Less> queue;
  for (const char c : std::string("abcdefghijklmnop")) {
    queue.put_nowait(Item{(c * 5) % 3, c});
  }
  std::string names;
  while (!queue.empty()) names += queue.get_nowait().name;
  EXPECT_EQ(names, "cfolinbkehgpmjad");
}

// An item that cannot be compared.
TEST(PriorityQueue, IsAsItWasIfAComparisonThrows) {
  struct Less {
    bool operator()(int a, int b) const {
      if (*throws) throw std::logic_error("no order");
      return a < b;
    }
    bool* throws;
  };
  bool throws = false;
  PriorityQueue<int, Less> queue(0, Less{&throws});
  for (const int item : {3, 1, 2, 5}) queue.put_nowait(item);
  const std::string before = to_string(queue);
  throws = true;
  EXPECT_THROW(queue.put_nowait(0), std::logic_error);
  EXPECT_THROW(queue.get_nowait(), std::logic_error);
  EXPECT_EQ(to_string(queue), before);
  throws = false;
  EXPECT_EQ(take_all(queue), (std::vector<int>{1, 2, 3, 5}));
}

// Items whose copy throws while the queue grows.
TEST(Queue, IsAsItWasIfACopyThrows) {
  struct Item {
    Item(int v, bool* t) : value(v), throws(t) {}
    Item(const Item& other) : value(other.value), throws(other.throws) {
      if (*throws) throw std::logic_error("no copy");
    }
    Item& operator=(const Item&) = delete;
    ~Item() = default;
    int value;
    bool* throws;
  };
  bool throws = false;
  Queue<Item> queue;
  const Item item(0, &throws);
  for (int i = 0; i < 8; ++i) queue.put_nowait(Item(i, &throws));
  throws = true;
  EXPECT_THROW(queue.put_nowait(item), std::logic_error);
  EXPECT_EQ(queue.qsize(), 8u);
  throws = false;
  queue.put_nowait(Item(8, &throws));
  for (int i = 0; i < 9; ++i) EXPECT_EQ(queue.get_nowait().value, i);
}

// The same for the ones that are there already, whichever it is.
TEST(Queue, IsAsItWasIfACopyOfAnOldItemThrows) {
  struct Item {
    Item(int v, int* left) : value(v), copies_left(left) {}
    Item(const Item& other)
        : value(other.value), copies_left(other.copies_left) {
      if (--*copies_left == 0) throw std::logic_error("no copy");
    }
    Item& operator=(const Item&) = delete;
    ~Item() = default;
    int value;
    int* copies_left;
  };
  for (int nth = 1; nth <= 9; ++nth) {
    int copies_left = 1000;
    Queue<Item> queue;
    for (int i = 0; i < 8; ++i) queue.put_nowait(Item(i, &copies_left));
    copies_left = nth;
    EXPECT_THROW(queue.put_nowait(Item(8, &copies_left)), std::logic_error);
    EXPECT_EQ(queue.qsize(), 8u);
    copies_left = 1000;
    queue.put_nowait(Item(8, &copies_left));
    for (int i = 0; i < 9; ++i) EXPECT_EQ(queue.get_nowait().value, i);
  }
}

TEST(LifoQueue, DropsItsItemsInAnImmediateShutdown) {
  const auto kept = std::make_shared<int>(0);
  LifoQueue<std::shared_ptr<int>> queue;
  for (int i = 0; i < 3; ++i) queue.put_nowait(kept);
  queue.shutdown(/*immediate=*/true);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_THROW(queue.get_nowait(), QueueShutDown);
}

}  // namespace
}  // namespace rondo
