// SPDX-License-Identifier: Apache-2.0

/// First in, first out. Takes no more memory than twice what it holds, also when it is never empty.
struct Queue<Element> {
    private var elements: [Element] = []
    /// What stands before was taken.
    private var first = 0

    /// Shorter than this it is not worth the moving.
    private static var shortest: Int { 64 }

    var isEmpty: Bool { first == elements.count }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func takeFirst() -> Element? {
        guard !isEmpty else { return nil }
        let element = elements[first]
        first += 1
        if isEmpty {
            elements.removeAll(keepingCapacity: true)
            first = 0
        } else if first >= Self.shortest, first * 2 >= elements.count {
            elements.removeFirst(first)
            first = 0
        }
        return element
    }

    /// Takes the oldest element for which `isWanted` is true.
    mutating func take(where isWanted: (Element) -> Bool) -> Element? {
        guard let index = elements[first...].firstIndex(where: isWanted) else { return nil }
        return elements.remove(at: index)
    }
}
