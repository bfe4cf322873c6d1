// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {EscrowAccount} from "./EscrowAccount.sol";
import {IEscrowAccount} from "./interfaces/IEscrowAccount.sol";
import {ITaskEscrow} from "./interfaces/ITaskEscrow.sol";
import {Digests} from "./libraries/Digests.sol";
import {Payouts} from "./libraries/Payouts.sol";
import {Quorum} from "./libraries/Quorum.sol";
import {Settleable} from "./libraries/Settleable.sol";
import {Tokens} from "./libraries/Tokens.sol";
import {
    Authorization,
    Plan,
    SettlementReceipt,
    Signature,
    Status,
    Terms,
    Unsettleable,
    ValidatorSet
} from "./Types.sol";

/// @title The escrow ledger of d402 tasks
/// @dev Before `refundAfter`: code at the escrow <=> settled, or swept because the terms cannot settle. Only `settle` and
/// `sweep` create that code, and `sweep` creates it only where `settle` is closed (#42).
contract TaskEscrow is ITaskEscrow, ReentrancyGuardTransient {
    /// How long after `refundAfter` a credit may be claimed.
    uint256 private constant CREDIT_LIFE = 180 days;

    /// @inheritdoc ITaskEscrow
    address public immutable ACCOUNT = address(new EscrowAccount());

    /// @inheritdoc ITaskEscrow
    mapping(bytes32 termsHash => mapping(address payee => uint256)) public creditOf;
    /// @inheritdoc ITaskEscrow
    mapping(bytes32 termsHash => uint256) public creditsOf;

    /// @inheritdoc ITaskEscrow
    function pay(Terms calldata source, Authorization calldata authorization, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
    {
        Terms memory terms = Digests.load(source);
        (bytes32 hash, address escrow) = _payable(terms);
        uint256 got = Tokens.transferWithAuthorization(terms.asset, escrow, authorization, v, r, s);
        _paid(terms, hash, escrow, authorization, got);
    }

    /// @inheritdoc ITaskEscrow
    function pay(Terms calldata source, Authorization calldata authorization, bytes calldata signature)
        external
        nonReentrant
    {
        Terms memory terms = Digests.load(source);
        (bytes32 hash, address escrow) = _payable(terms);
        uint256 got = Tokens.transferWithAuthorization(terms.asset, escrow, authorization, signature);
        _paid(terms, hash, escrow, authorization, got);
    }

    /// @inheritdoc ITaskEscrow
    function publishTerms(Terms calldata source) external returns (bytes32 hash) {
        Terms memory terms = Digests.load(source);
        hash = _hash(terms);
        emit TermsPublished(hash, _escrow(hash), terms);
    }

    /// @inheritdoc ITaskEscrow
    function settle(
        Terms calldata source,
        SettlementReceipt calldata receipt,
        ValidatorSet calldata set,
        Signature[] calldata signatures
    ) external nonReentrant {
        Terms memory terms = Digests.load(source);
        bytes32 domain = Digests.domainSeparator(terms.chainId);
        bytes32 hash = Digests.termsHash(domain, terms);
        address escrow = _unsettled(hash);
        _expectSettleable(terms);
        if (block.timestamp >= terms.refundAfter) revert TooLate(block.timestamp, terms.refundAfter);
        Plan memory plan = Payouts.plan(terms, receipt, escrow, Tokens.balanceOf(terms.asset, escrow));
        // Settleable terms name this chain, so their domain is that of the settlement.
        _expectQuorum(terms, Digests.settlement(domain, hash, receipt), set, signatures);

        // The mark comes first: whatever a token calls back, this escrow is settled.
        Clones.cloneDeterministic(ACCOUNT, hash);
        uint256 unpaid = IEscrowAccount(escrow).disburse(terms.asset, plan.payouts);
        if (unpaid != 0) _credit(hash, plan, unpaid);
        emit Settled(hash, receipt.receiptCid, receipt.outcome, unpaid, plan.payouts);
    }

    /// @inheritdoc ITaskEscrow
    function sweep(Terms calldata source, address token) external nonReentrant {
        Terms memory terms = Digests.load(source);
        bytes32 hash = _hash(terms);
        _sweep(terms, hash, _escrow(hash), token, terms.refundTo);
    }

    /// @inheritdoc ITaskEscrow
    function sweepTo(Terms calldata source, address token, address to) external nonReentrant {
        Terms memory terms = Digests.load(source);
        if (msg.sender != terms.refundTo) revert WrongSigner(msg.sender, terms.refundTo);
        bytes32 hash = _hash(terms);
        address escrow = _escrow(hash);
        if (Payouts.forbids(to, escrow, terms.asset)) revert BadPayee(to);
        _sweep(terms, hash, escrow, token, to);
    }

    /// @inheritdoc ITaskEscrow
    function claimCredit(Terms calldata source, address payee) external nonReentrant {
        Terms memory terms = Digests.load(source);
        bytes32 hash = _hash(terms);
        _claim(terms, hash, _escrow(hash), payee, payee);
    }

    /// @inheritdoc ITaskEscrow
    function claimCreditTo(Terms calldata source, address to) external nonReentrant {
        Terms memory terms = Digests.load(source);
        bytes32 hash = _hash(terms);
        address escrow = _escrow(hash);
        if (Payouts.forbids(to, escrow, terms.asset)) revert BadPayee(to);
        _claim(terms, hash, escrow, msg.sender, to);
    }

    /// @inheritdoc ITaskEscrow
    function hashTerms(Terms calldata source) external view returns (bytes32) {
        Terms memory terms = Digests.load(source);
        return _hash(terms);
    }

    /// @inheritdoc ITaskEscrow
    function escrowOf(Terms calldata source) external view returns (address) {
        Terms memory terms = Digests.load(source);
        return _escrow(_hash(terms));
    }

    /// @inheritdoc ITaskEscrow
    function settlementDigest(bytes32 termsHash, SettlementReceipt calldata receipt) external view returns (bytes32) {
        return Digests.settlement(Digests.domainSeparator(block.chainid), termsHash, receipt);
    }

    /// @inheritdoc ITaskEscrow
    function hashSet(ValidatorSet calldata set) external pure returns (bytes32) {
        return Quorum.setHash(set);
    }

    /// @inheritdoc ITaskEscrow
    function settleable(Terms calldata source) external view returns (Unsettleable) {
        Terms memory terms = Digests.load(source);
        return Settleable.check(terms);
    }

    /// @inheritdoc ITaskEscrow
    function neededSignatures(Terms calldata source, ValidatorSet calldata set) external view returns (uint256) {
        Terms memory terms = Digests.load(source);
        return Quorum.need(terms, set);
    }

    /// @inheritdoc ITaskEscrow
    function previewSettle(Terms calldata source, SettlementReceipt calldata receipt)
        external
        view
        returns (Plan memory)
    {
        Terms memory terms = Digests.load(source);
        address escrow = _escrow(_hash(terms));
        return Payouts.plan(terms, receipt, escrow, Tokens.balanceOf(terms.asset, escrow));
    }

    /// @inheritdoc ITaskEscrow
    function statusOf(Terms calldata source) external view returns (Status memory status) {
        Terms memory terms = Digests.load(source);
        status.termsHash = _hash(terms);
        status.escrow = _escrow(status.termsHash);
        status.settled = status.escrow.code.length != 0;
        status.reason = Settleable.check(terms);
        status.sweepable = status.settled || _closed(terms);
        status.balance = Tokens.balanceOf(terms.asset, status.escrow);
        status.credits = creditsOf[status.termsHash];
    }

    /// @inheritdoc ITaskEscrow
    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (hex"0f", "d402 TaskEscrow", "1", block.chainid, address(this), bytes32(0), new uint256[](0));
    }

    function _payable(Terms memory terms) private view returns (bytes32 hash, address escrow) {
        hash = _hash(terms);
        escrow = _unsettled(hash);
        _expectSettleable(terms);
        if (block.timestamp >= terms.settleBy) revert TooLate(block.timestamp, terms.settleBy);
    }

    function _paid(Terms memory terms, bytes32 hash, address escrow, Authorization calldata authorization, uint256 got)
        private
    {
        if (got < authorization.value) revert PaymentShort(got, authorization.value);
        emit TermsPublished(hash, escrow, terms);
        emit Funded(hash, authorization.from, got, authorization.nonce);
    }

    function _expectQuorum(
        Terms memory terms,
        bytes32 digest,
        ValidatorSet calldata set,
        Signature[] calldata signatures
    ) private view {
        bytes32 setHash = Quorum.setHash(set);
        if (setHash != terms.validatorSet) revert WrongSet(setHash, terms.validatorSet);
        Quorum.check(set, digest, signatures, Quorum.need(terms, set));
    }

    /// Every payout that was not sent becomes a credit, except the residual: it is not a payout, and a `refundTo` who
    /// cannot be paid must not block the workers (#22).
    function _credit(bytes32 hash, Plan memory plan, uint256 unpaid) private {
        uint256 owed = plan.residual == 0 ? plan.payouts.length : plan.payouts.length - 1;
        uint256 sum;
        for (uint256 i; i < owed; ++i) {
            if (unpaid >> i & 1 == 0) continue;
            (address payee, uint256 amount) = Payouts.unpack(plan.payouts[i]);
            creditOf[hash][payee] += amount;
            sum += amount;
            emit Credited(hash, payee, amount);
        }
        if (sum != 0) creditsOf[hash] = sum;
    }

    function _sweep(Terms memory terms, bytes32 hash, address escrow, address token, address to) private {
        bool settled = escrow.code.length != 0;
        // This guard and that of `settle` are disjoint and cover all time (M4a).
        if (!settled && !_closed(terms)) revert TooEarly(block.timestamp, terms.refundAfter);
        if (token == terms.asset) _lapse(terms, hash);
        uint256 amount = _sweepable(hash, escrow, token, terms.asset);
        if (amount == 0) revert NothingToSweep(token);
        if (!settled) Clones.cloneDeterministic(ACCOUNT, hash);
        bool sent = token == address(0)
            ? IEscrowAccount(escrow).transferEther(to, amount)
            : IEscrowAccount(escrow).transfer(token, to, amount);
        if (!sent) revert Unpayable(to);
        emit Swept(hash, token, to, amount);
    }

    function _sweepable(bytes32 hash, address escrow, address token, address asset) private view returns (uint256) {
        if (token == address(0)) return escrow.balance;
        uint256 balance = Tokens.balanceOf(token, escrow);
        if (token != asset) return balance;
        uint256 reserved = creditsOf[hash];
        return balance > reserved ? balance - reserved : 0;
    }

    /// Credits nobody claimed in time join the residual.
    function _lapse(Terms memory terms, bytes32 hash) private {
        uint256 credits = creditsOf[hash];
        if (credits == 0 || block.timestamp < _creditsUntil(terms)) return;
        creditsOf[hash] = 0;
        emit CreditsLapsed(hash, credits);
    }

    function _claim(Terms memory terms, bytes32 hash, address escrow, address payee, address to) private {
        if (block.timestamp >= _creditsUntil(terms)) revert TooLate(block.timestamp, _creditsUntil(terms));
        uint256 amount = creditOf[hash][payee];
        if (amount == 0) revert NoCredit(payee);
        creditOf[hash][payee] = 0;
        creditsOf[hash] -= amount;
        if (!IEscrowAccount(escrow).transfer(terms.asset, to, amount)) revert Unpayable(to);
        emit CreditClaimed(hash, payee, to, amount);
    }

    /// A CREATE2 onto existing code burns all the gas it is given, and in a batch that of the others: refused before.
    function _unsettled(bytes32 hash) private view returns (address escrow) {
        escrow = _escrow(hash);
        if (escrow.code.length != 0) revert AlreadySettled(hash);
    }

    function _expectSettleable(Terms memory terms) private view {
        Unsettleable reason = Settleable.check(terms);
        if (reason != Unsettleable.None) revert NotSettleable(reason);
    }

    /// `settle` can not happen (any more).
    function _closed(Terms memory terms) private view returns (bool) {
        return block.timestamp >= terms.refundAfter || Settleable.check(terms) != Unsettleable.None;
    }

    function _hash(Terms memory terms) private view returns (bytes32) {
        return Digests.termsHash(Digests.domainSeparator(terms.chainId), terms);
    }

    function _escrow(bytes32 hash) private view returns (address) {
        return Clones.predictDeterministicAddress(ACCOUNT, hash, address(this));
    }

    function _creditsUntil(Terms memory terms) private pure returns (uint256) {
        return uint256(terms.refundAfter) + CREDIT_LIFE;
    }
}
