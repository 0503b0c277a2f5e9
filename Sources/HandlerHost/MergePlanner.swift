// SPDX-License-Identifier: Apache-2.0

/// Which reads and writes of a batch go to the handler together.
///
/// Requests are put in order by direction, then by offset. Neighbours in that order of which one ends where the next
/// begins are a group, as long as its limits allow. Requests that overlap keep the order of their coming: `add` does
/// not take the younger one until the groups with the older have been taken. So no two of a plan overlap, and no third
/// criterion is needed for the order.
///
/// A value without a clock or a device; after `init` nothing is allocated.
public struct MergePlanner: Sendable {
    public struct Limits: Sendable, Equatable {
        /// Requests of one plan.
        public var requestCount: Int
        /// Requests of one group.
        public var elementCount: Int
        /// Bytes of one group. A longer request is a group of its own.
        public var byteCount: Int

        public init(requestCount: Int, elementCount: Int, byteCount: Int) {
            self.requestCount = requestCount
            self.elementCount = elementCount
            self.byteCount = byteCount
        }
    }

    public struct Request: Sendable, Equatable {
        public var isWrite: Bool
        /// Bytes from the start of the medium.
        public var byteOffset: UInt64
        /// Above 0; offset and count add up to less than 2^63.
        public var byteCount: Int
        /// The caller's name for it.
        public var index: Int

        public init(isWrite: Bool, byteOffset: UInt64, byteCount: Int, index: Int) {
            self.isWrite = isWrite
            self.byteOffset = byteOffset
            self.byteCount = byteCount
            self.index = index
        }

        var end: UInt64 { byteOffset + UInt64(byteCount) }

        func comesBefore(_ other: Request) -> Bool {
            isWrite == other.isWrite ? byteOffset < other.byteOffset : !isWrite
        }
    }

    public let limits: Limits
    /// In their order, and none overlaps another.
    private var requests: [Request] = []
    private var takenCount = 0

    public init(_ limits: Limits) {
        self.limits = limits
        requests.reserveCapacity(limits.requestCount)
    }

    public var isEmpty: Bool { requests.isEmpty }

    /// False when the plan is full, or `request` overlaps one of it: first take all groups.
    public mutating func add(_ request: Request) -> Bool {
        precondition(takenCount == 0, "a plan is taken whole before it grows again")
        guard requests.count < limits.requestCount else { return false }
        let place = place(of: request)
        var opposite = request
        opposite.isWrite.toggle()
        guard !touches(request, at: place), !touches(request, at: self.place(of: opposite)) else { return false }
        requests.insert(request, at: place)
        return true
    }

    /// The request at a place of the plan.
    public subscript(place: Int) -> Request { requests[place] }

    /// The places of the next group, in the order of its offsets; nil, and the plan is empty again, when there is none.
    public mutating func takeGroup() -> Range<Int>? {
        guard takenCount < requests.count else {
            requests.removeAll(keepingCapacity: true)
            takenCount = 0
            return nil
        }
        let start = takenCount
        var byteCount = requests[start].byteCount
        takenCount += 1
        while takenCount < requests.count, takenCount - start < limits.elementCount,
            continues(requests[takenCount], after: requests[takenCount - 1]),
            byteCount + requests[takenCount].byteCount <= limits.byteCount
        {
            byteCount += requests[takenCount].byteCount
            takenCount += 1
        }
        return start..<takenCount
    }

    private func continues(_ request: Request, after other: Request) -> Bool {
        request.isWrite == other.isWrite && request.byteOffset == other.end
    }

    /// How many come before `request`.
    private func place(of request: Request) -> Int {
        var low = 0
        var high = requests.count
        while low < high {
            let middle = (low + high) / 2
            if requests[middle].comesBefore(request) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether the blocks of `request` are also those of its neighbours at `place`, either of which may be of the other
    /// direction.
    private func touches(_ request: Request, at place: Int) -> Bool {
        (place > 0 && overlap(requests[place - 1], request))
            || (place < requests.count && overlap(requests[place], request))
    }

    private func overlap(_ one: Request, _ other: Request) -> Bool {
        one.byteOffset < other.end && other.byteOffset < one.end
    }
}
